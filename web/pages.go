package web

import "net/http"

// staffPages registers the pages of the staff listener. The console is one
// page; its routes differ only in what the script shows. The board, and calls
// with the audit, are bundles of their own.
func (s *Server) staffPages(m *guardedMux) {
	console := func(w http.ResponseWriter, r *http.Request) { s.page(w, r, "console.html.tmpl", nil) }
	bundled := func(name string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) { s.page(w, r, "bundle.html.tmpl", name) }
	}
	m.HandleFunc("GET /board", bundled("board"))
	m.HandleFunc("GET /calls", bundled("history"))
	m.HandleFunc("GET /audit", bundled("history"))
	m.HandleFunc("GET /drills", bundled("history"))
	for _, pattern := range []string{"GET /console", "GET /people", "GET /import", "GET /approvals", "GET /approvals/{release}"} {
		m.HandleFunc(pattern, console)
	}
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if all := s.pages(r.Context(), who(r.Context())); len(all) > 0 && all[0] != "console" {
			http.Redirect(w, r, "/"+all[0], http.StatusSeeOther) // a page with a script of its own
			return
		}
		console(w, r)
	})
	for pattern, title := range map[string]string{"GET /start": "First steps", "GET /admin": "Administration", "GET /alerts": "Alerts", "GET /subjects": "Subjects"} {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.page(w, r, "admin.html.tmpl", title) })
	}
	m.HandleFunc("GET /flows", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, "flows.html.tmpl", nil) })
	m.HandleFunc("GET /login", s.loginPage(false))
	m.HandleFunc("GET /login/sso", s.ssoBegin)
	m.HandleFunc("GET /login/sso/back", s.ssoFinish)
	m.HandleFunc("GET /invite", s.loginPage(true))
}

func (s *Server) loginPage(invite bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.page(w, r, "login.html.tmpl", struct {
			Invite  bool
			Company string
			SSO, No bool
		}{invite, s.cfg.Company(s.tenantOf(r)), s.sso != nil, r.URL.Query().Get("sso") == "no"})
	}
}

// pagesOf lists the console's pages that the principal may open, in the order
// of the navigation.
func pagesOf(p principal) []string {
	out := []string{}
	for _, name := range []string{"start", "console", "board", "alerts", "calls", "audit", "flows", "subjects", "drills", "people", "import", "admin", "approvals"} {
		for _, r := range access {
			if r.pattern == "GET /"+name && r.may(p) {
				out = append(out, name)
			}
		}
	}
	return out
}
