package web

import (
	"context"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	clientView struct {
		ID       string           `json:"id"`
		Name     string           `json:"name"`
		Scopes   []Scope          `json:"scopes"`
		Networks []string         `json:"networks"`
		Executor string           `json:"executor,omitempty"`
		Channel  string           `json:"channel,omitempty"`
		Status   ringfence.Status `json:"status"`
		StoredAt time.Time        `json:"stored_at"`
	}
	clientsOut struct {
		Body struct {
			Clients []clientView `json:"clients"`
			Scopes  []Scope      `json:"scopes" doc:"those there are"`
		}
	}
	clientIn struct {
		Body struct {
			Name        string   `json:"name" minLength:"1" maxLength:"80"`
			Scopes      []Scope  `json:"scopes" minItems:"1" maxItems:"20"`
			Networks    []string `json:"networks,omitempty" maxItems:"20" doc:"CIDR; none = from anywhere the listener is reached"`
			Executor    string   `json:"executor,omitempty" maxLength:"80"`
			Channel     string   `json:"channel,omitempty" maxLength:"200" doc:"customer channel: how persons log in there"`
			Key         string   `json:"key,omitempty" maxLength:"64" doc:"RFC 7638 thumbprint of the DPoP key"`
			Certificate string   `json:"certificate,omitempty" maxLength:"64" doc:"x5t#S256 of the client certificate"`
		}
	}
	clientOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Client     clientView `json:"client"`
			Credential string     `json:"credential" doc:"shown once"`
		}
	}
)

func viewClient(c Client) clientView {
	v := clientView{ID: c.ID, Name: c.Name, Scopes: c.Scopes, Networks: []string{}, Executor: c.Executor, Channel: c.Channel, Status: c.Status, StoredAt: c.StoredAt}
	for _, n := range c.Networks {
		v.Networks = append(v.Networks, n.String())
	}
	return v
}

// clientAPI keeps service accounts.
func (s *Server) clientAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/clients", Summary: "Service accounts"},
		func(ctx context.Context, _ *struct{}) (*clientsOut, error) {
			out := &clientsOut{}
			out.Body.Clients, out.Body.Scopes = []clientView{}, scopes
			return out, s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
				return eachClient(ctx, tx, func(c Client, _ int64) error {
					out.Body.Clients = append(out.Body.Clients, viewClient(c))
					return nil
				})
			})
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/clients", Summary: "Add a service account; its credential is shown once", DefaultStatus: 201},
		func(ctx context.Context, in *clientIn) (*clientOut, error) {
			c := Client{Name: plain(in.Body.Name), Scopes: in.Body.Scopes, Executor: in.Body.Executor, Channel: in.Body.Channel, Key: in.Body.Key, Certificate: in.Body.Certificate}
			for _, text := range in.Body.Networks {
				n, err := netip.ParsePrefix(text)
				if err != nil {
					return nil, problem.New(problem.Unprocessable, "A network is written like 192.0.2.0/24.")
				}
				c.Networks = append(c.Networks, n.Masked())
			}
			c, secret, err := s.CreateClient(ctx, who(ctx).tenant, c, who(ctx).person.ID)
			if err != nil {
				return nil, err
			}
			out := &clientOut{CacheControl: "no-store"}
			out.Body.Client, out.Body.Credential = viewClient(c), string([]byte(secret))
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/clients/{id}/remove", Summary: "End a service account, at once", DefaultStatus: 204},
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"40"`
		}) (*nothing, error) {
			p := who(ctx)
			return nil, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
				c, version, err := ledger.Read[Client](ctx, tx, kindClient, in.ID)
				if err != nil {
					return err
				}
				c.Status = ringfence.StatusRemoved
				rec := ledger.Record{Kind: kindClient, ID: c.ID, Version: version, Sort: c.StoredAt.UnixNano()}
				if err := ledger.Write(ctx, tx, &rec, c); err != nil {
					return err
				}
				_, err = tx.Append(ctx, ledger.Entry{Event: "config.changed", Person: p.person.ID, Object: c.ID, Data: map[string]string{"what": "service account removed"}})
				return err
			})
		})
}
