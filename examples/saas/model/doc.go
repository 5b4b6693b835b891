// Package model holds the language models of the workspace. They are local code
// without network, key or GPU, and stand where a host would call a provider.
//
//	m, ok := model.Default().Find("summarise")
//	reply, err := m.Reply(ctx, []model.Turn{{Role: model.User, Text: text}})
package model
