package model

import "context"

// Echo repeats what the user said. It shows the way of a prompt through the
// workspace without any doubt about what came out.
type Echo struct{}

// Name returns "echo".
func (Echo) Name() string { return "echo" }

// About describes the model.
func (Echo) About() string { return "Says back what you said" }

// Reply returns the user's last message.
func (Echo) Reply(ctx context.Context, turns []Turn) (string, error) {
	text, ok := lastOf(turns, User)
	if !ok {
		return "", ErrNothingSaid
	}
	return text, ctx.Err()
}
