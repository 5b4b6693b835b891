package model

import (
	"context"
	"strings"
)

// Outline lists what each paragraph of a text is about: the words that appear most in
// it, and its most telling sentence.
type Outline struct{}

// Name returns "outline".
func (Outline) Name() string { return "outline" }

// About describes the model.
func (Outline) About() string { return "Lists what each paragraph is about" }

// Reply outlines the user's last message.
func (Outline) Reply(ctx context.Context, turns []Turn) (string, error) {
	text, ok := lastOf(turns, User)
	if !ok {
		return "", ErrNothingSaid
	}
	var points []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if point := pointOf(paragraph); point != "" {
			points = append(points, point)
		}
	}
	return strings.Join(points, "\n\n"), ctx.Err()
}

// pointOf returns the entry of one paragraph, or "" if it says nothing.
func pointOf(paragraph string) string {
	const terms = 3
	all := sentences(paragraph)
	if len(all) == 0 {
		return ""
	}
	point := "• " + pick(all, 1)[0]
	if about := Keywords(paragraph, terms); len(about) > 0 {
		point += "\n   about " + strings.Join(about, ", ")
	}
	return point
}
