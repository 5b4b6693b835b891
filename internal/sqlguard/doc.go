// Package sqlguard finds, in SQL text, the statements that control a session or
// a transaction: BEGIN, SET, RESET, DISCARD, LISTEN, ATTACH and the like. They
// would change a connection behind the back of whoever pools it.
//
// It splits the text into statements as the database's own lexer does, so that
// comments, quoting and several statements in one text hide nothing. It is no
// defence against what a statement does while it runs, such as set_config in a
// SELECT.
package sqlguard
