// Package password hashes passwords, checks them, and judges new ones. It knows nothing of persons, pages or limits:
// idp/login counts the try first and asks here afterwards.
//
// A stored password is an argon2id string (19 MiB, t=2, p=1) sealed under a key outside the database, so that a copied
// database alone cannot be searched and the key can be rotated without the password (PW-09). Every check runs exactly
// one hash, also for a person who does not exist, and all of them pass one gate that bounds memory (DOS-01).
package password
