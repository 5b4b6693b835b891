package model

import (
	"context"
	"errors"
	"strings"
)

// Role says who wrote a turn of a conversation.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Turn is one message of a conversation.
type Turn struct {
	Role Role
	Text string
}

// ErrNothingSaid means that a conversation has no text to answer.
var ErrNothingSaid = errors.New("model: nothing to answer, say something first")

// Model answers conversations. It is safe for concurrent use.
type Model interface {
	// Name is how the model is asked for and billed: "echo".
	Name() string
	// About says in a few words what the model does.
	About() string
	// Reply answers the last turn of a user, which may look back at the others.
	// The error is ErrNothingSaid, or ctx's.
	Reply(ctx context.Context, turns []Turn) (string, error)
}

// Catalog is the models on offer, in the order they are shown.
type Catalog []Model

// Default returns the models that come with the workspace.
func Default() Catalog { return Catalog{Summarise{}, Echo{}, Outline{}} }

// Find returns the model of that name, and whether there is one.
func (c Catalog) Find(name string) (Model, bool) {
	for _, m := range c {
		if m.Name() == name {
			return m, true
		}
	}
	return nil, false
}

// Words counts the words of text, the unit in which usage is measured.
func Words(text string) int { return len(strings.Fields(text)) }

// lastOf returns the last non-empty text of role.
func lastOf(turns []Turn, role Role) (string, bool) {
	for i := len(turns) - 1; i >= 0; i-- {
		if text := strings.TrimSpace(turns[i].Text); turns[i].Role == role && text != "" {
			return text, true
		}
	}
	return "", false
}
