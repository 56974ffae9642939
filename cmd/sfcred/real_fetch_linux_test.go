package main

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"sfcred/helper/sfapitest"
)

// realRclone is rclone with a WebDAV server.
func realRclone() realClient {
	return realClient{
		needs: []string{"rclone"},
		serve: serveDAV,
		setUp: func(u *clientUser) {
			u.write("rclone.conf", []byte(rcloneRemote("ours", u.ours)+rcloneRemote("foreign", u.foreign)))
			u.env = append(u.env, "RCLONE_CONFIG="+u.path("rclone.conf"), "RCLONE_CA_CERT="+u.path("ca.pem"))
		},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			name := "ours"
			if server == u.foreign {
				name = "foreign"
			}
			o := u.do("rclone", "cat", name+":first.txt")
			return o, o.stdout
		},
		foreign: `sfcred: error: .*no token for this host`,
		down:    `sfcred: error: `,
		revoked: `401 Unauthorized`,
		many:    func(u *clientUser) outcome { return u.do("rclone", "cat", "ours:") },
	}
}

func rcloneRemote(name string, server *sfapitest.Server) string {
	return "[" + name + "]\ntype = webdav\nurl = " + server.URL + "/dav\nvendor = other\nbearer_token_command = sfcred token --url " + server.URL + "/\n"
}

// serveDAV is as much of RFC 4918 as it takes to read two files.
func serveDAV(t *testing.T, server *sfapitest.Server) {
	files := []string{"first.txt", "second.txt"}
	entry := func(name string) string {
		kind := "<d:collection/>"
		if name != "" {
			kind = ""
		}
		return "<d:response><d:href>/dav/" + name + "</d:href><d:propstat><d:status>HTTP/1.1 200 OK</d:status><d:prop><d:resourcetype>" + kind +
			"</d:resourcetype><d:getcontentlength>" + fmt.Sprint(len(privateText)) +
			"</d:getcontentlength><d:getlastmodified>Tue, 03 Nov 2026 08:00:00 GMT</d:getlastmodified></d:prop></d:propstat></d:response>"
	}
	server.Protect("/dav/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Base(r.URL.Path), "dav")
		switch {
		case r.Method == "PROPFIND":
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusMultiStatus)
			fmt.Fprint(w, `<d:multistatus xmlns:d="DAV:">`+entry(name))
			if name == "" {
				fmt.Fprint(w, entry(files[0])+entry(files[1]))
			}
			fmt.Fprint(w, "</d:multistatus>")
		default:
			fmt.Fprint(w, privateText)
		}
	}))
}

// servePage is what a program that fetches a page has to get.
func servePage(t *testing.T, server *sfapitest.Server) {
	server.Protect("/page", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, privateText) }))
}

// fetching is a program that a shell gives the header to.
func fetching(program, line string) realClient {
	return realClient{
		needs: []string{program, "bash"},
		serve: servePage,
		setUp: func(u *clientUser) {},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			o := u.with("url="+server.URL+"/page").do("bash", "-c", line)
			return o, o.stdout
		},
		foreign: `sfcred: error: .*no token for this host`,
		down:    `sfcred: error: `,
	}
}

// realHTTPie is HTTPie, with the header on its standard input.
func realHTTPie() realClient {
	c := fetching("http", `value=$(sfcred header --value --url "$url") && http --ignore-stdin --check-status --verify ca.pem "$url" Authorization:@/dev/stdin <<< "$value"`)
	c.revoked = `HTTP 401 Unauthorized`
	return c
}

// realWget is wget, with the header in a file that has no name any more.
func realWget() realClient {
	c := fetching("wget", `(rc=$(mktemp) && exec 3>"$rc" && rm "$rc" && { printf 'header = '; sfcred header --url "$url"; } >&3 &&
		wget --max-redirect=0 --config=/dev/fd/3 --ca-certificate=ca.pem -O - "$url")`)
	c.revoked = `401 Unauthorized`
	return c
}
