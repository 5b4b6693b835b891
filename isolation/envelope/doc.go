// Package envelope encrypts a tenant's columns and files with keys of its own, which can
// be rotated, and destroyed.
//
//	provider, err := envelope.OpenKeyring("/etc/saas/keys") // or a cloud's KMS
//	keys, err := envelope.New(provider, store, envelope.WithJournal(journal))
//
//	ssn := envelope.Column{Table: "patients", Name: "ssn"}
//	sealed, err := keys.Seal(ctx, ssn.At(patientID), []byte("078-05-1120")) // ctx's tenant's key
//	plaintext, err := keys.Open(ctx, ssn.At(patientID), sealed)
//
// [Field] and [Keys.SealFields] do this for the structs of sqlx and database/sql,
// [Index] searches for equal values, [Keys.Writer] and [Keys.Reader] encrypt files.
//
// # Keys
//
// Each tenant has a random data key for each [Purpose], made when it is first used. A
// [Store] keeps data keys wrapped: encrypted by a wrapping key, which stays with the
// [Provider]. Unwrapped data keys are kept in memory for a while ([WithTTL]), so that
// neither is asked for every field, and work goes on for as long when they fail.
//
// There are two rotations. [Keys.Rotate] gives a tenant a new version of a data key:
// from then on it seals, while older ones still open, until [Keys.Reencrypt] has sealed
// all rows anew and [Keys.Retire] destroys them. [Keys.Rewrap] moves all data keys to
// another wrapping key, which touches no data.
//
// # What holds
//
// A ciphertext opens for its own tenant, table, column and, if it was given, row. Any
// other use, and any change, is [ErrOpen], which does not tell why. A wrapped data key
// unwraps for its own tenant, purpose and version. Without a key nothing is written,
// least of all in the clear.
//
// Fields are sealed with XAES-256-GCM (https://c2sp.org/XAES-256-GCM), whose random nonces
// of 192 bits are safe for 2^80 fields under one key, of up to 64 GiB each. Streams have a key each.
// Neither hides how long a value is, nor when it changed; whoever may write to the
// database can put back an older ciphertext of the same column and row.
//
// # Shredding
//
// [Keys.Shred] destroys a tenant's keys and leaves a tombstone. Then:
//
//   - Ciphertext of the tenant does not open any more, wherever a copy lies: in the
//     database, its backups, replicas and logs. Other tenants are not touched, and the ID
//     never has keys again.
//   - The process that shreds overwrites its copies of the keys before Shred returns.
//     Others drop theirs within [WithTTL], or when [Keys.Forget] tells them. What the
//     standard library's AES keeps of a key (its round keys) cannot be overwritten from
//     outside; it goes with the next garbage collection.
//   - A backup of the store, restored, has the wrapped keys again. With [WithJournal], a
//     journal kept elsewhere, they are refused all the same, and [Keys.Reapply] destroys
//     them again. That is this package's word, not mathematics: whoever has such a
//     backup and the wrapping key can open the tenant's ciphertext without it.
//   - Mathematics makes an end of it once the wrapping key is gone: [Keys.Rewrap] the
//     tenants that are left to a new wrapping key, then destroy the old one. No backup
//     of the store from before is of any use after that.
//   - Nothing is promised if store, journal and wrapping keys are all restored to a time
//     before the shredding. Keep them apart: the store away from the data, the journal
//     away from the store, wrapping keys in a KMS or out of backups.
package envelope
