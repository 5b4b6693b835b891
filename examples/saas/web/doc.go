// Package web is what people see: the platform's site with its sign-up form, and the
// workspaces. Pages are made on the server from embedded templates and assets; they
// work without JavaScript and ask no other host for anything.
package web
