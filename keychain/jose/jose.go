// Package jose reads private and public keys in the formats people have them,
// makes new ones, keeps private ones as short text, and makes the signed client
// assertion of RFC 7523.
//
// It trusts nothing it reads: a [Key] exists only after its numbers were
// checked against each other, what [Parse] gives has made a trial signature,
// and no error of this package repeats a piece of its input. It trusts the signer it is
// given to keep its key, but verifies what it signed.
//
// It leaves out where keys are kept, who may read them, and every form of
// verifying somebody else's token. It is the only package that imports jwx,
// whose v2 is no longer maintained: jwx reads JWK and plain PEM and writes
// header and claims, under names that are fixed here, and nothing of it shows
// in the exported names.
package jose
