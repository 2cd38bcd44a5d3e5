package api

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

const (
	maxPaymentBody = 4 << 10 // bytes
	maxPayee       = 100     // characters
)

type balance struct {
	Balance  int64  `json:"balance"` // cents
	Currency string `json:"currency"`
	ACR      string `json:"acr,omitempty"` // what the API knows of the login, for the curious
}

func (s *server) showBalance(w http.ResponseWriter, r *http.Request, token accessToken) {
	writeJSON(w, http.StatusOK, balance{s.ledger.balance(token.Subject), "EUR", token.ACR})
}

type paymentOrder struct {
	To     string `json:"to"`
	Amount int64  `json:"amount"` // cents
}

type paymentReceipt struct {
	Number   int    `json:"number"`
	To       string `json:"to"`
	Amount   int64  `json:"amount"`
	Balance  int64  `json:"balance"`
	Currency string `json:"currency"`
}

func (s *server) pay(w http.ResponseWriter, r *http.Request, token accessToken) {
	var order paymentOrder
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPaymentBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&order); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{"invalid_payment", `Send JSON like {"to":"Ada","amount":1250}, in cents.`})
		return
	}
	if order.To == "" || utf8.RuneCountInString(order.To) > maxPayee || order.Amount <= 0 {
		writeJSON(w, http.StatusBadRequest, errorBody{"invalid_payment", "A payment needs a payee and a positive amount."})
		return
	}
	number, left, err := s.ledger.pay(token.Subject, order.Amount)
	if err != nil {
		writeJSON(w, http.StatusConflict, errorBody{"insufficient_funds", "There is not enough money in the account."})
		return
	}
	s.cfg.Log.Info("payment", "number", number, "client", token.ClientID, "acr", token.ACR)
	writeJSON(w, http.StatusCreated, paymentReceipt{number, order.To, order.Amount, left, "EUR"})
}
