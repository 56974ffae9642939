// Runs oidc-provider on https://127.0.0.1, at a free port, until standard input
// ends. The first line there is its configuration,
//
//   {"key": PEM, "cert": PEM, "clients": [{"id": …, "alg": …, "key": public PEM}]}
//
// and what it prints are lines of JSON: its issuer, once it listens, and then,
// before each answer goes out, {"status", "reason", "body"}. The reason is the
// server's own; a client that was refused is told less.
import { createPublicKey } from 'node:crypto';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const client = ({ id, alg, key }) => ({
  client_id: id,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: alg,
  jwks: { keys: [{ ...createPublicKey(key).export({ format: 'jwk' }), use: 'sig' }] },
});

const settings = (clients) => ({
  clients: clients.map(client),
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    // Only a token for a resource can be a JWT.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:api',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience: 'urn:api',
        scope: 'read write',
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

const start = ({ key, cert, clients }) => {
  const server = https.createServer({ key, cert });
  server.listen(0, '127.0.0.1', () => {
    const issuer = `https://127.0.0.1:${server.address().port}`;
    const provider = new Provider(issuer, settings(clients));
    provider.on('grant.error', (ctx, err) => { ctx.res.reason = err.error_detail ?? err.error_description; });
    const answer = provider.callback();
    server.on('request', (request, response) => {
      const end = response.end;
      response.end = (body, ...rest) => {
        print({ status: response.statusCode, reason: response.reason, body: String(body) });
        return end.call(response, body, ...rest);
      };
      answer(request, response);
    });
    print({ issuer });
  });
};

for await (const line of createInterface({ input: process.stdin })) start(JSON.parse(line));
process.exit();
