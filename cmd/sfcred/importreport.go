package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"sfcred/keychain/keyfiles"
)

// reported is the shape of import --json.
type reported struct {
	Name     string   `json:"name"`
	ClientID string   `json:"client_id"`
	Path     string   `json:"path"`
	Type     string   `json:"type"`
	Bits     int      `json:"bits"`
	Mode     string   `json:"mode"`
	Warnings []string `json:"warnings"`
	Variable string   `json:"variable"`
	Profile  *string  `json:"profile"` // that has it, already or by now
	Imported bool     `json:"imported"`
	Error    *string  `json:"error"`
}

func (o *offer) reported() reported {
	r := reported{
		Name: o.name, ClientID: o.ClientID, Path: o.Path, Type: o.Type, Bits: o.Bits, Mode: o.mode(),
		Warnings: nonNil(o.Warnings), Variable: o.Variable, Imported: o.imported,
	}
	switch {
	case o.has != "":
		r.Profile = &o.has
	case o.imported:
		r.Profile = &o.name
	}
	if o.err != nil {
		text := oneLine(o.err.Error())
		r.Error = &text
	}
	return r
}

// reportOffers shows what was found.
func (p *program) reportOffers(c *cli.Context, offers []*offer, problems []keyfiles.Problem) error {
	if c.Bool("json") {
		all := make([]reported, 0, len(offers))
		for _, o := range offers {
			all = append(all, o.reported())
		}
		for _, problem := range problems {
			p.warn(problem.String())
		}
		return p.answerJSON(all)
	}
	if len(offers) == 0 && !c.Args().Present() {
		p.inform("no key found")
	}
	return p.answer(offersTable(offers) + offersNotes(offers, problems))
}

func offersTable(offers []*offer) string {
	if len(offers) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROFILE\tCLIENT\tKEY\tMODE\tFROM")
	for _, o := range offers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", o.name, cmp.Or(o.ClientID, "-"), o.kind(), cmp.Or(o.mode(), "-"), oneLine(o.place()))
	}
	w.Flush()
	return b.String()
}

// offersNotes are what there is to say of single keys, and of what is none.
func offersNotes(offers []*offer, problems []keyfiles.Problem) string {
	var b strings.Builder
	for _, o := range offers {
		if o.has != "" {
			fmt.Fprintf(&b, "%s: profile %q has it already\n", oneLine(o.place()), o.has)
		}
		for _, warning := range o.Warnings {
			fmt.Fprintf(&b, "%s: %s\n", oneLine(o.place()), oneLine(warning))
		}
	}
	for _, problem := range problems {
		fmt.Fprintf(&b, "%s\n", oneLine(problem.String()))
	}
	return b.String()
}
