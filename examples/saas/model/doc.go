// Package model holds the language models of the workspace. Both are local code:
// they need no network, no key and no GPU, and stand where a host would call a
// provider.
//
//	m, ok := model.Default().Find("summarise")
//	reply, err := m.Reply(ctx, []model.Turn{{Role: model.User, Text: text}})
package model
