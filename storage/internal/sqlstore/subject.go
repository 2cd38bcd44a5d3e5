package sqlstore

import (
	"context"
	"errors"

	"github.com/parola-id/parola/storage"
)

// PersonRecords implements storage.Subjects.
func (s *Store) PersonRecords(ctx context.Context, personID string) (storage.PersonRecords, error) {
	person, err := s.Person(ctx, personID)
	if err != nil {
		return storage.PersonRecords{}, err
	}
	person, factors, err := s.PersonByUsername(ctx, person.Username)
	if err != nil {
		return storage.PersonRecords{}, err
	}
	r := storage.PersonRecords{Person: person, Password: factors.Password, Phone: factors.Phone}
	var errs [6]error
	r.Sessions, errs[0] = reading(scanSession).all(ctx, s, `SELECT `+sessionColumns+` FROM sessions x
		WHERE x.person_id = $1 ORDER BY x.created_at, x.id`, personID)
	r.Grants, errs[1] = reading(scanGrant).all(ctx, s, `SELECT `+grantColumns+` FROM grants x
		WHERE x.person_id = $1 AND x.person_id <> '' ORDER BY x.created_at, x.id`, personID)
	r.Consents, errs[2] = reading(scanConsent).all(ctx, s, selectConsent+`WHERE person_id = $1 ORDER BY client_id`, personID)
	r.Challenges, errs[3] = reading(scanChallenge).all(ctx, s, `SELECT `+challengeColumns+` FROM challenges
		WHERE person_id = $1 ORDER BY created_at, id`, personID)
	r.Deliveries, errs[4] = reading(scanDelivery).all(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE challenge_id IN (SELECT id FROM challenges WHERE person_id = $1) ORDER BY created_at, id`, personID)
	r.Notices, errs[5] = reading(scanNotice).all(ctx, s, `SELECT `+noticeColumns+` FROM notices
		WHERE person_id = $1 ORDER BY created_at, id`, personID)
	return r, errors.Join(errs[:]...)
}

// erasures remove what belongs to the person $1, each before what it is found by. Sessions, consents and factors go with
// the person, tokens with their grants, deliveries, receipts and notices with their challenges. An AuthRequest names its
// person inside its progress alone; those that came far enough are named by a challenge or a grant, or hold the id.
var erasures = []string{
	`DELETE FROM auth_requests WHERE id IN (SELECT auth_request_id FROM challenges WHERE person_id = $1)
		OR id IN (SELECT auth_request_id FROM grants WHERE person_id = $1 AND person_id <> '')
		OR progress LIKE '%"person_id":"' || $1 || '"%'`,
	`DELETE FROM challenges WHERE person_id = $1`,
	`DELETE FROM grants WHERE person_id = $1 AND person_id <> ''`,
}

// ErasePerson implements storage.Subjects. It reads the tables of what has not been swept yet to their end: people are
// erased seldom.
func (s *Store) ErasePerson(ctx context.Context, personID string) error {
	for _, erase := range erasures {
		if _, err := s.exec(ctx, erase, personID); err != nil {
			return err
		}
	}
	return s.affects(ctx, `DELETE FROM persons WHERE id = $1`, personID)
}
