package sqlite

import "github.com/ringfence/ringfence"

func ringID(s string) ringfence.TenantID { return ringfence.TenantID(s) }
func subID(s string) ringfence.SubjectID { return ringfence.SubjectID(s) }
func newRowID() string                   { return ringfence.NewID[string](ringfence.PrefixEvent) }
