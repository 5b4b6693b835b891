package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// What PostgreSQL itself uses for the passwords it hashes.
const (
	scramIterations = 4096
	scramSaltLen    = 16
)

// scramVerifier returns what PostgreSQL stores for password: enough to check
// it, not enough to log in. It is empty for an empty password.
func scramVerifier(password string) (string, error) {
	if password == "" {
		return "", nil
	}
	for _, r := range password {
		if r < ' ' || r > '~' { // others would need SASLprep (RFC 4013)
			return "", errors.New("password has characters that are not printable ASCII")
		}
	}
	salt := make([]byte, scramSaltLen)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(sign(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		scramIterations, encode(salt), encode(stored[:]), encode(sign(salted, "Server Key"))), nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
