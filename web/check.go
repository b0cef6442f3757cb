package web

import "github.com/ringfence/ringfence"

// phoneSource keeps calling numbers apart from addresses of the page.
const phoneSource = "tel:"

// SpendCheck takes one try of the mutual check for a line of the telephone, as
// the public page takes its own: five a source in a quarter of an hour (source
// is the caller's number as the network gives it; all who withhold theirs are
// one), ten a reference, counted together with the page, and sixty a line, for
// a number that is shown can be made up. keys is the reference as keyed.
func (s *Server) SpendCheck(tenant ringfence.TenantID, line, source, keys string) error {
	err := s.checks.spend(phoneSource + string(tenant) + "/" + source)
	if err == nil {
		err = s.lines.spend(string(tenant) + "/" + line)
	}
	if err == nil {
		err = s.spendReference(tenant, keys)
	}
	return err
}

// spendReference takes one try of a reference, as a telephone keys it: who
// guesses last digits cannot come from many sources.
func (s *Server) spendReference(tenant ringfence.TenantID, keys string) error {
	return s.refs.spend(string(tenant) + "/" + keys)
}
