// Package rows keeps a tenant's records and log in SQL tables. It is what
// store/sqlite and store/postgres have in common: the one transaction, what is
// sealed of a row, and the statements. A store brings the connection, the
// order of its writers and the commit.
//
// The tables are the same everywhere and the sealed bytes too, so what one
// store wrote another can take over.
package rows
