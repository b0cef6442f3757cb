// Package arch holds the house rules of the project as tests: which room may
// import which, which library lives where, and habits that a reviewer would
// otherwise have to look for. It parses the files itself, so that a cached
// answer of another tool never stands in for what is on the disk.
package arch
