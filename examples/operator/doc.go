// Operator runs the tenants of a platform from the command line: it makes their homes,
// migrates all of them, looks for drift and for holes in their isolation, exports,
// restores, clones and moves single ones, and rotates keys.
//
//	go run ./examples/operator init
//	go run ./examples/operator provision acme
//	go run ./examples/operator migrate
//	go run ./examples/operator help
//
// It is a template: copy the directory, put your tables into app.go and migrations, and
// make it yours. README.md is a tour.
package main
