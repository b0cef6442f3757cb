package config

// OIDC is the company's sign-on for staff. It only logs in: people and roles
// are kept here.
type OIDC struct {
	Issuer       string `koanf:"issuer"` // https address; empty = passkeys only
	ClientID     string `koanf:"client_id"`
	ClientSecret Secret `koanf:"client_secret"`
}

// On reports whether there is one.
func (o OIDC) On() bool { return o.Issuer != "" || o.ClientID != "" }
