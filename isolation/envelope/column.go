package envelope

import (
	"encoding/binary"
	"errors"

	"github.com/tenancy-go/tenancy/tenant"
)

// Column is where a ciphertext belongs. It opens there and nowhere else, so that
// nobody who may write to the database can move it to another column or row.
type Column struct {
	Table string
	Name  string
	// Row is the row's own key, or empty if ciphertexts may move between the rows
	// of a tenant's column.
	Row string
}

// At returns c bound to a row.
func (c Column) At(row string) Column {
	c.Row = row
	return c
}

func (c Column) String() string {
	if c.Row == "" {
		return c.Table + "." + c.Name
	}
	return c.Table + "." + c.Name + " of row " + c.Row
}

func (c Column) validate() error {
	if c.Table == "" || c.Name == "" {
		return errors.New("envelope: want a table and a column, not empty names")
	}
	return nil
}

// appendAAD appends what authenticates a field beside its ciphertext: all that
// says where it belongs, and the header.
func (c Column) appendAAD(dst []byte, id tenant.ID, version uint32) []byte {
	dst = append(dst, "tenancy/envelope/field/1"...)
	dst = append(dst, kindField)
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = appendPart(dst, string(id))
	dst = appendPart(dst, c.Table)
	dst = appendPart(dst, c.Name)
	return appendPart(dst, c.Row)
}
