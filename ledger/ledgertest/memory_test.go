package ledgertest_test

import (
	"testing"

	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/store/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) ledger.Store { return &ledgertest.Memory{} })
}
