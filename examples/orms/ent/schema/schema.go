// Package schema describes the tables to ent. No field names the tenant.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// Note is a text with comments.
type Note struct{ ent.Schema }

// Annotations names the table.
func (Note) Annotations() []schema.Annotation { return []schema.Annotation{entsql.Table("notes")} }

// Fields returns the columns.
func (Note) Fields() []ent.Field {
	return []ent.Field{field.Int64("id"), field.String("body")}
}

// Edges returns the relations.
func (Note) Edges() []ent.Edge { return []ent.Edge{edge.To("comments", Comment.Type)} }

// Comment belongs to a note.
type Comment struct{ ent.Schema }

// Annotations names the table.
func (Comment) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("comments")}
}

// Fields returns the columns.
func (Comment) Fields() []ent.Field {
	return []ent.Field{field.Int64("id"), field.Int64("note_id"), field.String("body")}
}

// Edges returns the relations.
func (Comment) Edges() []ent.Edge {
	return []ent.Edge{edge.From("note", Note.Type).Ref("comments").Field("note_id").Unique().Required()}
}
