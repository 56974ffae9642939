package diagnosis

// String says what is wrong, as part of a sentence, and what speaks for it.
func (f Finding) String() string {
	if f.Why == "" {
		return f.Cause.words()
	}
	return f.Cause.words() + " (" + f.Why + ")"
}

func (c Cause) words() string {
	switch c {
	case NoProfile:
		return "there is no such profile"
	case StoreLocked:
		return "the key store is locked"
	case StoreOutOfReach:
		return "the key store is out of reach"
	case NoKey:
		return "the key is not where the profile says it is"
	case KeyDamaged:
		return "what is stored is not a key"
	case KeyOpen:
		return "the key file is open to others"
	case WrongPassphrase:
		return "the passphrase is not the key's"
	case WrongKey:
		return "the key is not the one that is registered for this client"
	case ClientGone:
		return "the client has expired or was deleted"
	case AddressToken:
		return "this machine's address is not one that the client may come from"
	case AddressAPI401, AddressAPI403:
		return "the API does not let the client in from this machine's address"
	case WrongAudience:
		return "the server wants another audience in the assertion"
	case ClockOff:
		return "this machine's clock is off"
	case WrongTokenURL:
		return "the token URL is not that of the server's token endpoint"
	case WrongAPIURL:
		return "the API URL is not that of the API which takes this token"
	case ScopeTooWide:
		return "the client may not have the scope that the profile asks for"
	case LevelTooLow:
		return "the client's level is too low for this"
	case ServiceDown:
		return "the service is down"
	case ServiceBusy:
		return "the service is busy and wants to be asked later"
	case NoWay:
		return "there is no way to the server from this network"
	case ProxyInWay:
		return "the proxy is in the way"
	case UntrustedCA:
		return "the server's certificate is of an authority that is not trusted here, its own or that of a proxy that looks into TLS"
	case SignInPage:
		return "a sign-in page of this network answers instead of the server"
	}
	return string(c)
}
