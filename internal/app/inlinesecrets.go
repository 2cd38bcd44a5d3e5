package app

import "go.yaml.in/yaml/v3"

// HoldsSecrets says whether a configuration file has secrets in it, rather than the names of the files that hold them:
// then it must be kept as they are (KEY-07). A document that cannot be read counts as one.
func HoldsSecrets(document []byte) bool {
	var c Config
	if yaml.Unmarshal(document, &c) != nil {
		return true
	}
	return len(c.allSecrets()) > 0
}
