package validate

import (
	"context"
	"crypto/x509"
)

// recogniseDERKey takes a private key in DER, whatever its name: PKCS #8, PKCS #1 or
// SEC 1. One that is broken is not recognised.
func recogniseDERKey(_ string, head []byte) bool {
	if len(head) < 16 || len(head) == headSize || head[0] != 0x30 {
		return false
	}
	_, err := x509.ParsePKCS8PrivateKey(head)
	if err != nil {
		_, err = x509.ParsePKCS1PrivateKey(head)
	}
	if err != nil {
		_, err = x509.ParseECPrivateKey(head)
	}
	return err == nil
}

func checkDERKey(_ context.Context, f File) error {
	der, err := f.whole(headSize)
	if err == nil && !recogniseDERKey("", der) {
		err = broken("der-key", "it is no whole private key")
	}
	return err
}
