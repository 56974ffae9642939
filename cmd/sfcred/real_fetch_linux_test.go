package main

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"

	"sfcred/helper/sfapitest"
	"sfcred/integrations/httpie"
	"sfcred/integrations/rclone"
	"sfcred/integrations/setup"
	"sfcred/integrations/wget"
)

// realRclone is rclone with a WebDAV server.
func realRclone() realClient {
	return realClient{
		needs: []string{"rclone"},
		serve: serveDAV,
		setUp: func(u *clientUser) {
			u.env = append(u.env, "RCLONE_CONFIG="+u.path("rclone.conf"), "RCLONE_CA_CERT="+u.path("ca.pem"))
		},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			u.rcloneRemote(server)
			o := u.do("rclone", "cat", "sfcred-test:dav/first.txt")
			return o, o.stdout
		},
		foreign: `sfcred: error: .*no token for this host`,
		down:    `sfcred: error: `,
		revoked: `401 Unauthorized`,
		many: func(u *clientUser) outcome {
			u.rcloneRemote(u.ours)
			return u.do("rclone", "cat", "sfcred-test:dav")
		},
	}
}

// rcloneRemote has rclone make its remote for a server anew.
func (u *clientUser) rcloneRemote(server *sfapitest.Server) {
	u.Helper()
	os.Remove(u.path("rclone.conf"))
	u.works("sh", "-c", rclone.Lines(u.entry(server)))
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
	dav := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	})
	server.Protect("/dav", dav)
	server.Protect("/dav/", dav)
}

// servePage is what a program that fetches a page has to get.
func servePage(t *testing.T, server *sfapitest.Server) {
	server.Protect("/private", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, privateText) }))
}

// fetching is a program that the lines of a shell run with the header. With
// these words more of its own it takes our certificates.
func fetching(program, words string, lines func(setup.Entry) string) realClient {
	return realClient{
		needs: []string{program, "bash"},
		serve: servePage,
		setUp: func(u *clientUser) {},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			o := u.do("bash", "-c", strings.Replace(lines(u.entry(server)), " "+program+" ", " "+program+" "+words+" ", 1))
			return o, o.stdout
		},
		foreign: `sfcred: error: .*no token for this host`,
		down:    `sfcred: error: `,
	}
}

func realHTTPie() realClient {
	c := fetching("http", "--verify=ca.pem --check-status", httpie.Lines)
	c.revoked = `HTTP 401 Unauthorized`
	return c
}

func realWget() realClient {
	c := fetching("wget", "--ca-certificate=ca.pem -O -", wget.Lines)
	c.revoked = `401 Unauthorized`
	return c
}
