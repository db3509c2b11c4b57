#!/usr/bin/env bash
# Speaks the prompts of this folder with espeak-ng and brings them to the telephone's format with sox.
#
#   config/prompts/make.sh                          # the neutral wording that ships
#   FR_WHO='La Maison Marco' FR_WHERE='marco point fr' config/prompts/make.sh
#
# Needs: espeak-ng, sox. Fails, and leaves the old file, when a prompt gets longer than 8 s or clips.
set -euo pipefail
cd "$(dirname "$0")"

FR_WHO=${FR_WHO:-Notre société}
FR_WHERE=${FR_WHERE:-sur notre site internet}
EN_WHO=${EN_WHO:-Our company}
EN_WHERE=${EN_WHERE:-on our website}
ES_WHO=${ES_WHO:-Nuestra empresa}
ES_WHERE=${ES_WHERE:-en nuestro sitio web}
AR_WHO=${AR_WHO:-شركتنا}
AR_WHERE=${AR_WHERE:-على موقعنا}
MAX_SECONDS=8.0
TARGET_DBFS=-18

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# gain_to_target FILE: the decibels that are missing to the target level
gain_to_target() {
  sox "$1" -n stats 2>&1 | awk -v want="$TARGET_DBFS" '/^RMS lev dB/ { printf "%.2f", want - $4 }'
}

# speak FILE VOICE WORDS-PER-MINUTE TEXT
speak() {
  local file=$1 voice=$2 speed=$3 text=$4 raw=$scratch/raw.wav flat=$scratch/flat.wav out=$scratch/out.wav
  espeak-ng -v "$voice" -s "$speed" -w "$raw" -- "$text"
  # A telephone's band, silence trimmed at both ends, peaks tamed so that -18 dBFS RMS leaves headroom.
  sox "$raw" -r 8000 -b 16 -c 1 -e signed-integer "$flat" gain -6 highpass 150 lowpass 3400 \
    silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse \
    compand 0.002,0.08 -60,-60,-24,-20,-12,-14,0,-9 -3 -60 pad 0.05 0.15
  # sox's limiter takes about 2 dB of level with it: the second pass, which is plain, gives them back.
  sox -D "$flat" "$scratch/limited.wav" gain -l "$(gain_to_target "$flat")"
  sox -D "$scratch/limited.wav" "$out" gain "$(gain_to_target "$scratch/limited.wav")"

  local seconds peak
  seconds=$(soxi -D "$out")
  peak=$(sox "$out" -n stats 2>&1 | awk '/^Pk lev dB/ { print $4 }')
  awk -v s="$seconds" -v max="$MAX_SECONDS" 'BEGIN { exit !(s <= max) }' ||
    { echo "$file: $seconds s is longer than $MAX_SECONDS s" >&2; exit 1; }
  awk -v p="$peak" 'BEGIN { exit !(p < -0.1) }' || { echo "$file: clips (peak $peak dBFS)" >&2; exit 1; }
  mkdir -p "$(dirname "$file")"
  mv "$out" "$file"
  printf '%-22s %5.2f s  peak %6.2f dBFS\n' "$file" "$seconds" "$peak"
}

speak fr-object.wav fr 170 "$FR_WHO enregistre cet appel pour former ses conseillers. Pour refuser, tapez 2. Vos droits : $FR_WHERE."
speak en-object.wav en-gb 155 "$EN_WHO is recording this call to train staff. To refuse, press 2. Your rights: $EN_WHERE."
speak fr-consent.wav fr 175 "Pouvons-nous enregistrer cet appel pour former nos équipes ? Oui : tapez 1. Sinon, rien n'est gardé. Vos droits : $FR_WHERE."
speak en-consent.wav en-gb 165 "May we record this call to train staff? For yes, press 1. Otherwise we do not. Your rights: $EN_WHERE."
speak es-object.wav es 175 "$ES_WHO graba esta llamada para formar al personal. Para negarse, pulse 2. Sus derechos: $ES_WHERE."
speak ar-object.wav ar 175 "$AR_WHO تسجل هذه المكالمة لتدريب موظفيها. للرفض اضغط 2. حقوقكم: $AR_WHERE."
speak es-consent.wav es 190 "¿Podemos grabar la llamada para formar al personal? Sí: pulse 1. Si no, nada se guarda. Sus derechos: $ES_WHERE."
speak ar-consent.wav ar 200 "هل نسجل المكالمة لتدريب الموظفين؟ نعم: اضغط 1. وإلا فلا تسجيل. حقوقكم: $AR_WHERE."
speak fr-mandated.wav fr 180 "$FR_WHO doit, par la loi, enregistrer cet appel. Pour refuser, tapez 2 : il prendra fin. Vos droits : $FR_WHERE."
speak en-mandated.wav en-gb 165 "$EN_WHO must by law record this call. To refuse, press 2, and the call ends. Your rights: $EN_WHERE."
speak es-mandated.wav es 185 "$ES_WHO debe por ley grabar esta llamada. Para negarse, pulse 2 y la llamada termina. Sus derechos: $ES_WHERE."
speak ar-mandated.wav ar 200 "$AR_WHO ملزمة قانونا بتسجيل هذه المكالمة. للرفض اضغط 2 فتنتهي المكالمة. حقوقكم: $AR_WHERE."
speak en-refused.wav en-gb 160 "Recording stopped. Nothing is kept."
speak es-refused.wav es 160 "Grabación detenida. No se guarda nada."
speak ar-refused.wav ar 150 "توقف التسجيل. لا يحفظ أي شيء."
speak fr-refused.wav fr 160 "Enregistrement arrêté. Rien n'est conservé."

speak demo/caller-fr.wav fr+f2 165 "Bonjour, je vous appelle au sujet de ma commande. Le colis devait arriver mardi, et je n'ai toujours rien reçu."
speak demo/agent-fr.wav fr+m3 165 "Bonjour, Camille à votre service. Je regarde tout de suite. Pouvez-vous me donner votre numéro de commande ?"
