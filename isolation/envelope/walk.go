package envelope

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// SealFields seals every [Field] in dest for the context's tenant: a pointer to a
// struct, or a slice of structs or of pointers to them, or a pointer to such a
// slice. It goes into embedded and nested structs, as sqlx does.
//
// The tag says where a field belongs: `envelope:"table.column"`, or
// `envelope:"table.column,row=ID"` to bind it to the row whose key is in the
// struct's field ID: text, an integer, or what implements encoding.TextMarshaler. A
// Field without a tag is an error.
func (k *Keys) SealFields(ctx context.Context, dest any) error {
	return k.walk(dest, func(f sealable, c Column) error { return f.Seal(ctx, k, c) })
}

// OpenFields opens every [Field] in dest, which is as [Keys.SealFields] takes it.
func (k *Keys) OpenFields(ctx context.Context, dest any) error {
	return k.walk(dest, func(f sealable, c Column) error { return f.Open(ctx, k, c) })
}

// sealable is a *Field of any type.
type sealable interface {
	Seal(ctx context.Context, k *Keys, c Column) error
	Open(ctx context.Context, k *Keys, c Column) error
}

var sealableType = reflect.TypeFor[sealable]()

// plan is where a struct type has its fields.
type plan struct {
	fields []planned
	err    error
}

type planned struct {
	path   []int // of field indexes
	column Column
	row    []int // path of the row's key; nil if there is none
}

var errDest = errors.New("envelope: want a pointer to a struct, or a slice of structs")

func (k *Keys) walk(dest any, do func(sealable, Column) error) error {
	v := reflect.ValueOf(dest)
	if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Slice {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			if err := k.walkOne(v.Index(i), do); err != nil {
				return err
			}
		}
		return nil
	case reflect.Pointer:
		return k.walkOne(v, do)
	default:
		return fmt.Errorf("%w, not %T", errDest, dest)
	}
}

// walkOne takes a struct that can be changed, or a pointer to one.
func (k *Keys) walkOne(v reflect.Value, do func(sealable, Column) error) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return fmt.Errorf("%w, not a nil pointer", errDest)
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return fmt.Errorf("%w, not %s", errDest, v.Type())
	}
	p := k.plan(v.Type())
	if p.err != nil {
		return p.err
	}
	for _, f := range p.fields {
		target, ok := reach(v, f.path)
		if !ok {
			continue
		}
		column, err := f.columnIn(v)
		if err != nil {
			return err
		}
		if err := do(target.Addr().Interface().(sealable), column); err != nil {
			return err
		}
	}
	return nil
}

// reach follows a path; it ends at a nil pointer.
func reach(v reflect.Value, path []int) (reflect.Value, bool) {
	for _, i := range path {
		v = v.Field(i)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
	}
	return v, true
}

func (f planned) columnIn(v reflect.Value) (Column, error) {
	if f.row == nil {
		return f.column, nil
	}
	key, ok := reach(v, f.row)
	var row string
	if ok && !key.IsZero() {
		var err error
		if row, err = rowKey(key); err != nil {
			return Column{}, fmt.Errorf("envelope: %s: %w", f.column, err)
		}
	}
	if row == "" {
		return Column{}, fmt.Errorf("envelope: %s: the row's key is not set yet; choose it before sealing", f.column)
	}
	return f.column.At(row), nil
}

// rowKey returns a row's key as text.
func rowKey(v reflect.Value) (string, error) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String(), nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	default:
		return "", fmt.Errorf("a row's key of type %s; want text, an integer, or an encoding.TextMarshaler", v.Type())
	}
}

func (k *Keys) plan(t reflect.Type) *plan {
	if p, ok := k.plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	p.err = p.add(t, nil, nil)
	k.plans.Store(t, p)
	return p
}

// add plans for the fields of t, a struct, which is at path. Types within types of
// their own kind, such as the nodes of a tree, are gone into once.
func (p *plan) add(t reflect.Type, path []int, outer []reflect.Type) error {
	outer = append(slices.Clone(outer), t)
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(path), i)
		elem := f.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		tag, tagged := f.Tag.Lookup("envelope")
		isField := reflect.PointerTo(elem).Implements(sealableType)
		switch {
		case tagged && !isField:
			return fmt.Errorf("envelope: %s.%s has a tag and is no envelope.Field", t, f.Name)
		case !isField && elem.Kind() == reflect.Struct && (f.IsExported() || f.Anonymous && f.Type == elem) && !slices.Contains(outer, elem):
			if err := p.add(elem, at, outer); err != nil {
				return err
			}
		case !isField:
		case !tagged || !f.IsExported():
			return fmt.Errorf(`envelope: %s.%s: want an exported field with a tag such as envelope:"table.column"`, t, f.Name)
		default:
			if err := p.addField(t, path, at, f.Name, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) addField(t reflect.Type, path, at []int, name, tag string) error {
	where, option, _ := strings.Cut(tag, ",")
	table, column, found := strings.Cut(where, ".")
	if i := strings.LastIndexByte(where, '.'); found {
		table, column = where[:i], where[i+1:] // a table may have its schema before it
	}
	f := planned{path: at, column: Column{Table: table, Name: column}}
	if err := f.column.validate(); !found || err != nil {
		return fmt.Errorf("envelope: %s.%s: tag %q: want table.column", t, name, tag)
	}
	if option != "" {
		key, isRow := strings.CutPrefix(option, "row=")
		row, exists := t.FieldByName(key)
		if !isRow || !exists || len(row.Index) != 1 || !row.IsExported() {
			return fmt.Errorf("envelope: %s.%s: tag %q: want row= and the name of a field of the same struct", t, name, tag)
		}
		f.row = append(slices.Clone(path), row.Index...)
	}
	p.fields = append(p.fields, f)
	return nil
}
