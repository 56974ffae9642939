package main

// The scripts of the shells. Each hands the words before the cursor to sfcred
// and shows the lines that come back; where none come, it offers files.

// completionScript is the script of a shell, or "".
func completionScript(shell string) string {
	switch shell {
	case "bash":
		return bashScript
	case "zsh":
		return zshScript
	case "fish":
		return fishScript
	case "powershell":
		return powershellScript
	}
	return ""
}

// completionShells lists the shells that there is a script for.
func completionShells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

// bash, from 3.2, which macOS has. It cuts words at "=", which sfcred knows.
const bashScript = `# In ~/.bashrc: source <(sfcred completion bash)
_sfcred() {
	local IFS=$'\n'
	COMPREPLY=($("${1/#\~/$HOME}" completion bash --current="${COMP_WORDS[COMP_CWORD]}" -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null))
}
complete -o bashdefault -o default -F _sfcred sfcred
`

// zsh: what _describe takes is NAME:DESCRIPTION.
const zshScript = `#compdef sfcred
# In ~/.zshrc, behind compinit: source <(sfcred completion zsh)
_sfcred() {
	local -a found
	found=("${(@f)$(${~words[1]} completion zsh --current="${(Q)words[CURRENT]}" -- "${(@Q)words[2,CURRENT-1]}" 2>/dev/null)}")
	if [[ -n $found ]]; then
		_describe sfcred found
	else
		_files
	fi
}
compdef _sfcred sfcred
`

// fish, from 3.0.
const fishScript = `# In ~/.config/fish/config.fish: sfcred completion fish | source
function __sfcred_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	sfcred completion fish --current="$current" -- $words[2..-1] 2>/dev/null
end
complete -c sfcred -f -a '(__sfcred_complete)'
complete -c sfcred -n 'not __sfcred_complete | string length -q' -F
`

const powershellScript = `# In $PROFILE: sfcred completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName sfcred, sfcred.exe -ScriptBlock {
	param($current, $command, $cursor)
	$words = @($command.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
	sfcred completion powershell "--current=$current" '--' $words 2>$null | ForEach-Object {
		$name, $description = $_ -split [char]9, 2
		if (-not $description) { $description = $name }
		[System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $description)
	}
}
`
