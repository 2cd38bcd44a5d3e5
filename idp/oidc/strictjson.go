package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// strictObject reads one JSON object by the exact names of its members. A name that occurs twice, at any depth, is
// refused: two readers of the same text must not see different values (INP-02). encoding/json alone takes the last one
// and ignores case.
func strictObject(data []byte) (map[string]json.RawMessage, error) {
	if err := refuseRepeatedNames(data); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, errors.New("not a JSON object")
	}
	return members, nil
}

// refuseRepeatedNames walks a whole JSON text.
func refuseRepeatedNames(data []byte) error {
	// Valid first: it bounds the depth that the walk below recurses to.
	if !json.Valid(data) {
		return errors.New("not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walkValue(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

func walkValue(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	seen := make(map[string]bool)
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			text := name.(string) // a decoder inside an object yields nothing else here
			if seen[text] {
				return fmt.Errorf("member %q occurs twice", text)
			}
			seen[text] = true
		}
		if err := walkValue(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
