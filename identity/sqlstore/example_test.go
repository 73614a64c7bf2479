package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

func Example() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// alice [admin]
	// invalid username or password
	// alice, disabled: invalid username or password
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		return err
	}
	users, err := sqlstore.OpenSQLite(ctx, filepath.Join(dir, "users.db"), sqlstore.Config{Hasher: hasher})
	if err != nil {
		return err
	}
	defer users.Close()

	if _, err := users.Add(ctx, "Alice", "violin marmalade tundra", "admin"); err != nil {
		return err
	}
	account, err := users.Authenticate(ctx, "alice", "violin marmalade tundra")
	if err != nil {
		return err
	}
	fmt.Println(account.Username, account.Roles)

	_, err = users.Authenticate(ctx, "alice", "violin")
	fmt.Println(err)

	if _, err := users.SetDisabled(ctx, "alice", true); err != nil {
		return err
	}
	_, err = users.Authenticate(ctx, "alice", "violin marmalade tundra")
	fmt.Println("alice, disabled:", err)
	return nil
}
