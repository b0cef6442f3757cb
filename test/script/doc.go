// Package script runs the commands of the program as the files of testdata
// write them: what is typed, what is printed, which status comes back.
package script
