package reports

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// canonical returns a deep copy in the form that is written: results in the order of their identity, times in UTC, and
// no nil slices, which JSON would write as null.
func canonical(r *Report) *Report {
	var c Report
	deepCopy(reflect.ValueOf(&c).Elem(), reflect.ValueOf(r).Elem())
	slices.SortStableFunc(c.Results, compareIdentity)
	return &c
}

// compareIdentity orders results by (profile, variant, asset, id).
func compareIdentity(a, b Result) int {
	return cmp.Or(strings.Compare(a.Profile, b.Profile), strings.Compare(a.Variant, b.Variant),
		strings.Compare(a.Asset, b.Asset), strings.Compare(a.ID, b.ID))
}

func deepCopy(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Struct:
		if t, ok := src.Interface().(time.Time); ok {
			dst.Set(reflect.ValueOf(t.UTC()))
			return
		}
		for i := range src.NumField() {
			deepCopy(dst.Field(i), src.Field(i))
		}
	case reflect.Slice:
		dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			deepCopy(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
		for it := src.MapRange(); it.Next(); {
			dst.SetMapIndex(it.Key(), it.Value())
		}
	case reflect.Pointer:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.New(src.Type().Elem()))
		deepCopy(dst.Elem(), src.Elem())
	default:
		dst.Set(src)
	}
}

// editStrings replaces every free string of the report in place by what edit makes of it: fields, list elements and
// map keys, in a fixed order. The path reads like results[3].seen. Strings of a type of their own (outcomes, levels,
// states) are keyflow's words and stay.
func editStrings(r *Report, edit func(path, s string) string) { EditStrings(r, edit) }

// EditStrings does that to any document: v points at a struct of fields, lists and pointers.
func EditStrings[T any](v *T, edit func(path, s string) string) {
	editValue(reflect.ValueOf(v).Elem(), "", edit)
}

func editValue(v reflect.Value, path string, edit func(path, s string) string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(edit(path, v.String()))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			editValue(v.Field(i), join(path, jsonName(v.Type().Field(i))), edit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			editValue(v.Index(i), path+"["+strconv.Itoa(i)+"]", edit)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			editValue(v.Elem(), path, edit)
		}
	case reflect.Map:
		if counts, ok := v.Interface().(map[string]int64); ok && counts != nil {
			v.Set(reflect.ValueOf(editKeys(counts, path, edit)))
		}
	default: // numbers
	}
}

// editKeys renames the keys of a map of counts; counts whose keys become equal are added up, so that sums still hold.
func editKeys(counts map[string]int64, path string, edit func(path, s string) string) map[string]int64 {
	edited := make(map[string]int64, len(counts))
	for i, key := range slices.Sorted(maps.Keys(counts)) {
		edited[edit(path+"{"+strconv.Itoa(i)+"}", key)] += counts[key]
	}
	return edited
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
