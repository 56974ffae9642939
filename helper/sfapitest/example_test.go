package sfapitest_test

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"time"

	"sfcred/helper/sfapitest"
)

func Example() {
	key, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	s := sfapitest.New(sfapitest.Client{ID: "aaaabbbbcccc1", Key: key, User: "alice", UserID: 90210})
	defer s.Close()
	s.SetAPIFault(sfapitest.Times(1, sfapitest.Status(503, nil)))

	for range 2 {
		req, err := http.NewRequest("GET", s.APIURL+"/account/", nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.Mint("alice", time.Minute))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%d %s\n", resp.StatusCode, body)
	}
	// Output:
	// 503 Service Unavailable
	//
	// 200 {"uid":90210,"name":"alice","firstname":null,"lastname":null,"middlename":null,"workphone":null,"otherPhones":null,"email":null}
}
