// Package clientaddr finds the address that a request comes from, behind proxies
// that are trusted to say.
package clientaddr
