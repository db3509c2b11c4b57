/** Hours of what callers say, in many voices: sentences of a call centre with numbers, names and dates that change. */
import { speak, type Language, type Voice } from './speech.ts';

const voices: readonly Voice[] = [
  ...(['fr', 'en', 'es', 'ar'] as const).flatMap((language) =>
    ['', '+m3', '+f2', '+f4'].flatMap((variant) =>
      [0.85, 1.1].map((pace, place): Voice => ({
        engine: 'espeak-ng',
        language,
        name: `${language === 'en' ? 'en-gb' : language}${variant}`,
        pace,
        pitch: 35 + 30 * place,
      })),
    ),
  ),
  ...['slt', 'rms', 'awb', 'kal16'].map((name): Voice => ({ engine: 'flite', language: 'en', name })),
  { engine: 'festival', language: 'en', name: 'kal_diphone' },
];

const sentences: Record<Language, readonly string[]> = {
  fr: [
    'Bonjour, je vous appelle au sujet de ma facture du # mars, je ne comprends pas le montant de # euros.',
    'Mon numéro de client est le # # #, et mon adresse a changé depuis le mois dernier.',
    'Non, je n’ai jamais reçu le colis, et le livreur dit qu’il est passé à # heures.',
    'Est-ce que vous pouvez me rappeler demain, s’il vous plaît ? Je suis au bureau jusqu’à # heures.',
    'D’accord, très bien, je note : référence # # #. Et pour le remboursement, il faut compter combien de jours ?',
    'Oui, c’est exact, madame. Le contrat a été signé le # janvier, mais la machine ne marche toujours pas.',
  ],
  en: [
    'Good morning, I am calling about my invoice of the #th of March, I do not understand the amount of # pounds.',
    'My customer number is # # #, and my address has changed since last month.',
    'No, I never received the parcel, and the driver says that he came by at # o’clock.',
    'Could you please call me back tomorrow? I am at the office until # in the afternoon.',
    'All right, let me write that down: reference # # #. And how many days does a refund take?',
    'Yes, that is correct. We signed the contract on the #th of January, and the machine still does not work.',
  ],
  es: [
    'Buenos días, le llamo por mi factura del # de marzo, no entiendo el importe de # euros.',
    'Mi número de cliente es el # # #, y mi dirección ha cambiado desde el mes pasado.',
    'No, nunca recibí el paquete, y el repartidor dice que pasó a las #.',
    '¿Puede llamarme mañana, por favor? Estoy en la oficina hasta las #.',
    'De acuerdo, lo apunto: referencia # # #. ¿Y cuántos días tarda el reembolso?',
  ],
  ar: [
    'صباح الخير، أتصل بخصوص فاتورة شهر مارس، لا أفهم المبلغ وهو # يورو.',
    'رقم الزبون هو # # #، وعنواني تغير منذ الشهر الماضي.',
    'لا، لم أستلم الطرد، والسائق يقول إنه مر في الساعة #.',
    'هل يمكنكم الاتصال بي غدا من فضلكم؟ أنا في المكتب حتى الساعة #.',
  ],
};

/** Speech until there are so many seconds of it, a minute or so at a time, the voices in turn. */
export async function* callerSpeech(
  seconds: number,
  random: () => number,
): AsyncGenerator<{ samples: Int16Array; voice: Voice }> {
  let said = 0;
  for (let turn = 0; said < seconds; turn += 1) {
    const voice = voices[turn % voices.length]!;
    const samples = await speak(monologue(voice.language, random), voice);
    said += samples.length / 8_000;
    yield { samples, voice };
  }
}

function monologue(language: Language, random: () => number): string {
  const of = sentences[language];
  const pick = (): string => of[Math.floor(random() * of.length)]!;
  return Array.from({ length: 14 }, pick)
    .join(' ')
    .replaceAll('#', () => String(1 + Math.floor(random() * 998)));
}
