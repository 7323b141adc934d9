package bcert

import (
	"fmt"
	"slices"
)

// Type says what a certificate is for (sheet playready.md §10).
type Type uint32

// The types.
const (
	TypePC               Type = 1
	TypeDevice           Type = 2
	TypeDomain           Type = 3
	TypeIssuer           Type = 4
	TypeCRLSigner        Type = 5
	TypeService          Type = 6
	TypeSilverlight      Type = 7
	TypeApplication      Type = 8
	TypeMetering         Type = 9
	TypeKeyFileSigner    Type = 10
	TypeServer           Type = 11
	TypeLicenseSigner    Type = 12
	TypeSecureTimeServer Type = 13
	TypeRProvModelAuth   Type = 14
)

// Usage says what a certificate's key may do (sheet playready.md §10).
type Usage uint32

// The usages that a rule of this package or of its users speaks about.
const (
	UsageSign              Usage = 1
	UsageEncrypt           Usage = 2
	UsageSignCRL           Usage = 3
	UsageIssuerAll         Usage = 4
	UsageIssuerIndiv       Usage = 5
	UsageIssuerDevice      Usage = 6 // PCs, too
	UsageIssuerLink        Usage = 7
	UsageIssuerDomain      Usage = 8
	UsageIssuerSilverlight Usage = 9
	UsageIssuerApplication Usage = 10
	UsageIssuerCRL         Usage = 11
	UsageIssuerMetering    Usage = 12
	UsageIssuerKeyFile     Usage = 13
	UsageIssuerServer      Usage = 15
	UsageIssuerLicense     Usage = 18
	UsageSignResponse      Usage = 20
	UsageIssuerSecureTime  Usage = 23
	UsageIssuerRProv       Usage = 24
)

// kind is what is known about a type: its name, and the usage that the keys above a leaf of it need; 0 if no such usage is
// known, so that only an issuer of all will do.
type kind struct {
	name   string
	issuer Usage
}

// kinds is sheet playready.md §10, "issuer usage by child". Device and CRL signer are seen in real chains, the others go by name.
var kinds = map[Type]kind{
	TypePC:               {"PC", UsageIssuerDevice},
	TypeDevice:           {"device", UsageIssuerDevice},
	TypeDomain:           {"domain", UsageIssuerDomain},
	TypeIssuer:           {"issuer", 0},
	TypeCRLSigner:        {"CRL signer", UsageIssuerCRL},
	TypeService:          {"service", 0},
	TypeSilverlight:      {"Silverlight", UsageIssuerSilverlight},
	TypeApplication:      {"application", UsageIssuerApplication},
	TypeMetering:         {"metering", UsageIssuerMetering},
	TypeKeyFileSigner:    {"key-file signer", UsageIssuerKeyFile},
	TypeServer:           {"server", UsageIssuerServer},
	TypeLicenseSigner:    {"license signer", UsageIssuerLicense},
	TypeSecureTimeServer: {"secure time server", UsageIssuerSecureTime},
	TypeRProvModelAuth:   {"rprov model auth", UsageIssuerRProv},
}

// String returns the type's number and name.
func (t Type) String() string {
	if k, ok := kinds[t]; ok {
		return fmt.Sprintf("%d (%s)", uint32(t), k.name)
	}
	return fmt.Sprintf("%d (unknown)", uint32(t))
}

// issues reports whether a key may stand above a leaf of the type.
func (k Key) issues(leaf Type) bool {
	usage := kinds[leaf].issuer
	return k.May(UsageIssuerAll) || usage != 0 && k.May(usage)
}

// issuesAnything reports whether a key may issue certificates of any type.
func (k Key) issuesAnything() bool {
	return slices.ContainsFunc(k.Usages, func(u Usage) bool {
		return u >= UsageIssuerAll && u <= UsageIssuerKeyFile || u == UsageIssuerServer || u == UsageIssuerLicense ||
			u == UsageIssuerSecureTime || u == UsageIssuerRProv
	})
}
