// Package content decrypts common-encryption media with the content keys of a license and proves that what comes out is
// media. It is the last step of the client key request workflow: a key that was unwrapped without an error may still be
// the wrong one, and no cipher of ISO/IEC 23001-7 can tell.
//
// [Decrypt] gives the samples of one segment; box parsing and ciphers are those of github.com/Eyevinn/mp4ff. [Prove]
// judges them. Input is hostile: it is bounded by [MaxInput], and no count or size in it is believed before it is checked
// against the bytes that are there.
package content
