package handset

import (
	"strconv"
	"strings"
)

// wording is Meta's preset text of an authentication template in one language. Senders cannot change it.
type wording struct {
	body   string // {{1}} is the passcode; *…* is WhatsApp's bold
	expiry string // {{1}} is the number of minutes
	copy   string
	deny   string
}

var wordings = map[string]wording{
	"en": {
		body:   "*{{1}}* is your verification code. For your security, do not share this code.",
		expiry: "This code expires in {{1}} minutes.",
		copy:   "Copy code",
		deny:   "I didn't request a code",
	},
	"it": {
		body:   "*{{1}}* è il tuo codice di verifica. Per la tua sicurezza, non condividere questo codice.",
		expiry: "Questo codice scade tra {{1}} minuti.",
		copy:   "Copia codice",
		deny:   "Non ho richiesto un codice",
	},
	"es": {
		body:   "*{{1}}* es tu código de verificación. Por tu seguridad, no lo compartas.",
		expiry: "Este código caduca en {{1}} minutos.",
		copy:   "Copiar código",
		deny:   "No solicité un código",
	},
	"pt": {
		body:   "*{{1}}* é seu código de verificação. Para sua segurança, não o compartilhe.",
		expiry: "Este código expira em {{1}} minutos.",
		copy:   "Copiar código",
		deny:   "Não solicitei um código",
	},
	"de": {
		body:   "*{{1}}* ist dein Verifizierungscode. Teile diesen Code zu deiner Sicherheit mit niemandem.",
		expiry: "Dieser Code läuft in {{1}} Minuten ab.",
		copy:   "Code kopieren",
		deny:   "Ich habe keinen Code angefordert",
	},
	"fr": {
		body:   "*{{1}}* est votre code de vérification. Pour votre sécurité, ne le partagez pas.",
		expiry: "Ce code expire dans {{1}} minutes.",
		copy:   "Copier le code",
		deny:   "Je n’ai pas demandé de code",
	},
	"ar": {
		body:   "*{{1}}* هو كود التحقق الخاص بك. للحفاظ على أمانك، لا تشارك هذا الكود.",
		expiry: "تنتهي صلاحية هذا الكود خلال {{1}} دقائق.",
		copy:   "نسخ الكود",
		deny:   "لم أطلب كودًا",
	},
	"hi": {
		body:   "*{{1}}* आपका सत्यापन कोड है. अपनी सुरक्षा के लिए, यह कोड किसी से शेयर न करें.",
		expiry: "यह कोड {{1}} मिनट में एक्सपायर हो जाएगा.",
		copy:   "कोड कॉपी करें",
		deny:   "मैंने कोड नहीं माँगा",
	},
	"id": {
		body:   "*{{1}}* adalah kode verifikasi Anda. Demi keamanan, jangan bagikan kode ini.",
		expiry: "Kode ini kedaluwarsa dalam {{1}} menit.",
		copy:   "Salin kode",
		deny:   "Saya tidak meminta kode",
	},
}

// wordingFor takes a template language such as en_US. A language without a text of its own here is shown in English.
func wordingFor(language string) wording {
	base, _, _ := strings.Cut(language, "_")
	if w, ok := wordings[base]; ok {
		return w
	}
	return wordings["en"]
}

func (w wording) footer(minutes int) string {
	return strings.Replace(w.expiry, "{{1}}", strconv.Itoa(minutes), 1)
}
