package curl

import (
	"fmt"
	"regexp"
	"strconv"
)

// VersionArgv has curl tell its version.
func VersionArgv() []string { return []string{"curl", "--disable", "--version"} }

// The least versions, of the tool and of its library.
//
// 7.55.0 reads headers from a file; an older tool would take "@FILE" for a
// header, find none in it, and send the request without.
//
// 7.83.0 leaves the Authorization header out of what it sends to another port or
// by another scheme (CVE-2022-27774, CVE-2022-27776); to another host no version
// since 7.58.0 sends it.
const (
	leastTool    = 7<<16 | 55<<8
	leastLibrary = 7<<16 | 83<<8
)

// CheckVersion says whether the curl that has printed this can be trusted with a
// token and with redirects.
func CheckVersion(printed []byte) error {
	match := regexp.MustCompile(`^curl (\d+)\.(\d+)\.(\d+)[^\n]* libcurl/(\d+)\.(\d+)\.(\d+)`).FindSubmatch(printed)
	if match == nil {
		return &OptionError{"--location", "what version of curl this is cannot be told, so neither what it does with redirects"}
	}
	number := func(parts [][]byte) (n int) {
		for _, part := range parts {
			m, err := strconv.ParseUint(string(part), 10, 8)
			if err != nil {
				return 0
			}
			n = n<<8 | int(m)
		}
		return n
	}
	switch {
	case number(match[1:4]) < leastTool:
		return fmt.Errorf("curl %s.%s cannot read a header from a file; 7.55 can", match[1], match[2])
	case number(match[4:7]) < leastLibrary:
		return &OptionError{"--location", fmt.Sprintf("libcurl %s.%s sends the token to another port or scheme when it follows a redirect; 7.83 does not", match[4], match[5])}
	}
	return nil
}
