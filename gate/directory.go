package gate

import (
	"context"

	"github.com/ringfence/ringfence/ledger"
)

func putPayee(ctx context.Context, tx ledger.Tx, p Payee, version int64) error {
	rec := ledger.Record{Kind: KindPayee, ID: payeeID(p.Subject, p.Account), Version: version, Subject: p.Subject,
		Keys: map[string]string{"subject": string(p.Subject)}, Sort: p.Since.UnixNano()}
	return ledger.Write(ctx, tx, &rec, p)
}
