// Package benchmarks measures Tenancy against doing without it, in one run and on
// one machine, and prints ratios:
//
//	make bench
//
// It is a module of its own, so that nothing it compares with becomes a
// dependency of Tenancy.
package benchmarks
