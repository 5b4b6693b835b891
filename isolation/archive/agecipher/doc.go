// Package agecipher encrypts archives to keys of people and machines, in the format
// of age (https://age-encryption.org).
//
//	cipher, err := agecipher.New([]age.Recipient{recipient}, nil) // a server that only exports holds no secret
//	archiver, err := archive.New(strategy, archive.Encrypt(cipher))
//
// Only the tenant's ID and the word age stand in the clear at the beginning of such
// an archive. After these, an age file follows: it cannot be cut or changed without
// being noticed.
package agecipher
