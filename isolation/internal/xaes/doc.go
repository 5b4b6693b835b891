// Package xaes is XAES-256-GCM, an AEAD whose nonces are long enough to be drawn
// at random for any number of messages.
//
//	key, err := xaes.New(secret)
//	box := key.Seal(nil, plaintext, additional) // nonce, ciphertext, tag
//	plaintext, err := key.Open(nil, box, additional)
//
// It is the construction of https://c2sp.org/XAES-256-GCM: half of a nonce of 192
// bits derives a key of AES-256-GCM (NIST SP 800-108r1 with CMAC), the other half
// is that key's nonce. With 2^80 messages under one key the risk that two share a
// nonce is 2^-32; AES-256-GCM with random nonces reaches that risk at 2^32
// messages. Like AES-GCM it does not commit to its key.
package xaes
