package diagnosis

import "cmp"

// String says what is wrong, as part of a sentence, and what speaks for it.
func (f Finding) String() string {
	words := cmp.Or(f.words, f.Cause.words())
	if f.Why == "" {
		return words
	}
	return words + " (" + f.Why + ")"
}

func (c Cause) words() string {
	switch c {
	case NoProfile:
		return "there is no profile to use"
	case StoreLocked:
		return "the key store is locked"
	case StoreOutOfReach:
		return "the key store is out of reach"
	case NoKey:
		return "the key is not where the profile says it is"
	case KeyDamaged:
		return "what is stored is not a key"
	case KeyOpen:
		return "the key file is open to others"
	case WrongPassphrase:
		return "the passphrase is not the key's"
	case WrongKey:
		return "the key is not this client's"
	case ClientGone:
		return "the client has expired or was deleted"
	case AddressToken:
		return "this machine's address is not in the client's range"
	case AddressAPI401, AddressAPI403:
		return "this machine's address is not in the client's range, by the API"
	case WrongAudience:
		return "the server wants another audience"
	case ClockOff:
		return "this machine's clock is off"
	case WrongTokenURL:
		return "the token URL is wrong"
	case WrongAPIURL:
		return "the API URL is wrong"
	case ScopeTooWide:
		return "the client may not have the scope that is asked for"
	case LevelTooLow:
		return "the client's level is too low for this"
	case ServiceDown:
		return "the service is down or out of order"
	case ServiceBusy:
		return "the service is busy"
	case NoWay:
		return "there is no way to the server from this network"
	case ProxyInWay:
		return "the proxy is in the way"
	case UntrustedCA:
		return "the server's certificate is by an authority that is not trusted here: its own, or a proxy's that looks into TLS"
	case SignInPage:
		return "a sign-in page of this network answers instead of the server"
	}
	return string(c)
}
