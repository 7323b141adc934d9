package bcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/pssh"
)

// ReasonRevocationList says that a revocation list's own signature does not verify.
const ReasonRevocationList drm.Reason = "revocation-list-signature"

// MaxListLen bounds a revocation list, in bytes: some 130 000 entries.
const MaxListLen = 4 << 20

const (
	listHeaderLen = 24 // list id, version, number of entries
	listSigECDSA  = 1
)

// ListID names a list of revocation information: a UUID in big-endian order, which is a GUID on the wire.
type ListID [16]byte

// The lists (sheet playready.md §7.1). The first two have the layout of [RevocationList]: one is of devices, the other of
// applications, and which is which is not public. The third holds the versions of the others, the fourth is text of the WMDRM
// era; both have another layout.
var (
	ListDigests1 = ListID{0x4e, 0x9d, 0x8c, 0x8a, 0xb6, 0x52, 0x45, 0xa7, 0x97, 0x91, 0x69, 0x25, 0xa6, 0xb4, 0x79, 0x1f}
	ListDigests2 = ListID{0x28, 0x08, 0x2e, 0x80, 0xc7, 0xa3, 0x40, 0xb1, 0x82, 0x56, 0x19, 0xe5, 0xb6, 0xd8, 0x9b, 0x27}
	ListVersions = ListID{0x52, 0xd1, 0xff, 0x11, 0xd3, 0x88, 0x4e, 0xdd, 0x82, 0xb7, 0x68, 0xea, 0x4c, 0x20, 0xa1, 0x6c}
	ListWMDRM    = ListID{0xcd, 0x75, 0xe6, 0x04, 0x54, 0x3d, 0x4a, 0x9c, 0x9f, 0x09, 0xfe, 0x6d, 0x24, 0xe8, 0xbf, 0x90}
)

// String returns the UUID in lower case with hyphens.
func (id ListID) String() string { return drm.KID(id).String() }

// Base64 returns the base64 of the GUID, as requests and responses spell list ids.
func (id ListID) Base64() string {
	guid := id.guid()
	return base64.StdEncoding.EncodeToString(guid[:])
}

// ParseListID reads what [ListID.Base64] writes.
func ParseListID(text string) (ListID, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(ListID{}) {
		return ListID{}, fmt.Errorf("revocation list id %.40q: want the base64 of 16 bytes", text)
	}
	return ListID(pssh.KIDOfGUID([16]byte(b))), nil
}

func (id ListID) guid() [16]byte { return pssh.GUID(drm.KID(id)) }

// check refuses lists that are known to have another layout.
func (id ListID) check() error {
	if id == ListVersions || id == ListWMDRM {
		return fmt.Errorf("list %s has another layout", id)
	}
	return nil
}

// RevocationList is the ListData of a signed list of revoked certificates (sheet playready.md §8.2). It comes from
// [ParseRevocationList] and [IssueRevocationList]; the caller must not change it.
type RevocationList struct {
	ID        ListID
	Version   uint32
	Entries   [][sha256.Size]byte // digests, see [Certificate]
	Signature []byte              // r || s
	Signer    *Chain

	Raw       []byte
	SignedLen int // bytes of Raw under the signature
}

// ParseRevocationList reads a list strictly: every length is exact, and nothing follows. It verifies no signature, see
// [Verifier.VerifyList]. List ids are not bound to those that are known; those known to have another layout are errors.
func ParseRevocationList(b []byte) (*RevocationList, error) {
	l, err := parseRevocationList(b)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return l, nil
}

func parseRevocationList(b []byte) (*RevocationList, error) {
	if len(b) > MaxListLen {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(b), MaxListLen)
	}
	r := &reader{buf: bytes.Clone(b)}
	l := &RevocationList{Raw: r.buf, ID: ListID(pssh.KIDOfGUID([16]byte(r.take(16, "list id")))), Version: r.u32("version")}
	n := r.count("entries", sha256.Size, MaxListLen/sha256.Size)
	if n > 0 {
		l.Entries = make([][sha256.Size]byte, n)
	}
	for i := range l.Entries {
		l.Entries[i] = [sha256.Size]byte(r.take(sha256.Size, "entry"))
	}
	l.SignedLen = r.at
	r.exactly8(listSigECDSA, "signature type")
	r.exactly16(ecc.SignatureLen, "signature length in bytes")
	l.Signature = r.take(ecc.SignatureLen, "signature")
	if r.err != nil {
		return nil, r.err
	}
	if err := l.ID.check(); err != nil {
		return nil, err
	}
	var err error
	if l.Signer, err = Parse(r.buf[r.at:]); err != nil {
		return nil, fmt.Errorf("signer, from byte %d: %w", r.at, err)
	}
	return l, nil
}

// IssueRevocationList returns a list, signed by the key that the signer chain's leaf names for signing such lists. It may be
// empty.
func IssueRevocationList(id ListID, version uint32, entries [][sha256.Size]byte, key ecc.PrivateKey, signer *Chain) (*RevocationList, error) {
	l, err := issueRevocationList(id, version, entries, key, signer)
	if err != nil {
		return nil, fmt.Errorf("issue revocation list: %w", err)
	}
	return l, nil
}

func issueRevocationList(id ListID, version uint32, entries [][sha256.Size]byte, key ecc.PrivateKey, signer *Chain) (*RevocationList, error) {
	if named, ok := signer.Leaf().Key(UsageSignCRL); !ok || named != key.Public() {
		return nil, errors.New("the key is not the one that the signer's certificate names for it")
	}
	guid := id.guid()
	b := append(guid[:], words(version, uint32(len(entries)))...)
	for _, digest := range entries {
		b = append(b, digest[:]...)
	}
	signature, err := key.Sign(b)
	if err != nil {
		return nil, err
	}
	b = append(b, listSigECDSA)
	b = binary.BigEndian.AppendUint16(b, ecc.SignatureLen)
	b = append(b, signature...)
	return parseRevocationList(append(b, signer.Raw...))
}

// VerifyList verifies the chain of a list's signer, whose leaf must be a CRL signer under issuers of such, and the list's
// signature by the leaf's key. That the list is not older than another is for the caller to see to.
func (v Verifier) VerifyList(l *RevocationList) error {
	if err := v.verifyList(l); err != nil {
		return fmt.Errorf("revocation list %s: %w", l.ID, err)
	}
	return nil
}

func (v Verifier) verifyList(l *RevocationList) error {
	if err := v.Verify(l.Signer); err != nil {
		return err
	}
	leaf := l.Signer.Leaf()
	if leaf.Type != TypeCRLSigner {
		return &VerifyError{ReasonLeaf, 0, fmt.Sprintf("type %s is no signer of revocation lists", leaf.Type)}
	}
	key, ok := leaf.Key(UsageSignCRL)
	if !ok {
		return &VerifyError{ReasonLeaf, 0, "has no key to sign revocation lists"}
	}
	if !key.Verify(l.Raw[:l.SignedLen], l.Signature) {
		return &VerifyError{ReasonRevocationList, 0, "the list is not signed by its key"}
	}
	return nil
}

// Revoked returns the digests of all lists together, for a [Verifier]. The lists must have been verified.
func Revoked(lists ...*RevocationList) map[[sha256.Size]byte]bool {
	all := map[[sha256.Size]byte]bool{}
	for _, l := range lists {
		for _, digest := range l.Entries {
			all[digest] = true
		}
	}
	return all
}
