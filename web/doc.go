// Package web is what people and programs see of ringfence: the staff console,
// the caller's passkey page, the approver's page, and the JSON API.
//
//	Internet ──▶ Public()   caller's page, "is this really us?", enrolment
//	staff    ──▶ Staff()    login, console, /v1 (OpenAPI), events (SSE)
//
// The two handlers never share an origin. Whoever asks is a principal (a
// person by session cookie, a service account by bearer credential, or nobody),
// and one table says which principals may use which route.
//
// The room decides nothing: a button is a view of what gate would answer, and
// gate is asked again when it is pressed. It mints no evidence, sees no code
// and reaches a live traversal only through the interface Calls.
package web
