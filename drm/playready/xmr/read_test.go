package xmr

import (
	"slices"
	"testing"
)

// TestStates: what is stated as zero is stated, and what is not read is not.
func TestStates(t *testing.T) {
	t.Parallel()
	tree := Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 150}.Tree(nil)
	global := tree.Find(TypeGlobalPolicy)
	global.Children = append(global.Children, Leaf(TypeIssueDate, 0, make([]byte, 4)), Leaf(0x0011, 1, nil), Container(0x7777, 0, Leaf(TypeGracePeriod, 0, u32(1))))
	right := Container(TypeCopy, 1, Leaf(TypeExpiration, 1, make([]byte, 8)), Leaf(TypeCopyCount, 1, u32(0)))
	tree.Children = append(tree.Children, right)
	l := parsed(t, sealed(t, tree))
	for typ, want := range map[Type]bool{
		TypeSecurityLevel: true, TypeIssueDate: true, TypeCopyCount: true, TypePlayback: true, TypeExpiration: false, TypeGracePeriod: false, TypeSettings: false,
		TypeMoveEnabler: false, 0x0011: false,
	} {
		if l.States(typ) != want {
			t.Errorf("%s: %v", typ, !want)
		}
	}
	var unread []Type
	for _, o := range l.Unread {
		unread = append(unread, o.Type)
	}
	if want := []Type{0x0011, 0x7777, TypeExpiration}; !slices.Equal(unread, want) {
		t.Errorf("not read: %v, want %v", unread, want)
	}
	if (&License{}).States(TypeSettings) {
		t.Error("the zero license states settings")
	}
}

// TestReadPartly: what was read before an error is there to be shown, and Parse does not hand it out.
func TestReadPartly(t *testing.T) {
	t.Parallel()
	good := vector(t)
	tree := Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 150}.Tree(nil)
	tree.Find(TypeKeyMaterial).Children = append(tree.Find(TypeKeyMaterial).Children, Leaf(0x7777, 1, nil))
	for name, c := range map[string]struct {
		b         []byte
		some      bool
		tree, key bool
	}{
		"empty": {nil, false, false, false}, "prelude alone": {good[:24], true, false, false}, "cut": {good[:len(good)-1], true, false, false},
		"no license": {make([]byte, 100), false, false, false}, "trailing byte": {append(slices.Clone(good), 0), true, true, false},
		"not understood": {sealed(t, tree), true, true, true},
	} {
		l, err := Read(c.b)
		if err == nil || (l != nil) != c.some || c.some && ((l.Outer != nil) != c.tree || (l.EncryptedKey != nil) != c.key) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if l, err := Parse(c.b); err == nil || l != nil {
			t.Errorf("%s: parsed, %v", name, err)
		}
	}
}
