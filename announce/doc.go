// Package announce tells executors by webhook that a release is ready for
// them. An announcement wakes; it carries no field of an action and no permit,
// and nothing is lost with it, for an executor that polls finds the release as
// well.
//
//   - Delivery: one announcement that is owed, written in the transaction that
//     made the release ready, and what became of each attempt.
//   - Endpoint: where an executor listens, from the configuration only.
//   - Sender: works deliveries off, each endpoint by itself, with growing
//     pauses, until it is answered 2xx or the release is no longer open.
//
// Requests are signed as Standard Webhooks demands (specification 1.0.0). They
// go to public addresses, and to others only where the endpoint names their
// network: the address is judged when it is dialled, after the name was
// looked up. Redirects are not followed and no proxy is used.
package announce
